"""Which setting of a config is fastest on this machine, and what steps cost on others.

==============  ==================================================================
``variations``  what can be set otherwise, and what that does to the result
``search``      measures them one dimension after the other, within a given time
``prices``      prices of machine types, from a table with dates
``costs``       from steps per second here to money per million steps elsewhere
==============  ==================================================================
"""
